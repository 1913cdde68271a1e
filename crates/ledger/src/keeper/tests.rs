mod card;
mod crash;
mod damage;
mod long;
mod triggers;
mod world;
