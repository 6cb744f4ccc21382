//! Embeds a migration that was added since the last build, and checks the
//! queries again when what is known of them has changed.

fn main() {
    println!("cargo:rerun-if-changed=../migrations/services");
    println!("cargo:rerun-if-changed=.sqlx");
}
