//! x
pub(crate) fn demo(_: &crate::args::DemoArgs) -> crate::exit::Outcome {
    Ok(())
}
