//! Criterion benches; each file under `benches/` names one heart of the product.
