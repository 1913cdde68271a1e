mod crash;
mod long;
mod triggers;
mod world;
