//! The pages in a real browser. Without one they are skipped, unless `HANSOM_E2E=required`.

mod anycall;
mod bike;
mod everywhere;
mod movers;
mod taxisvc;
