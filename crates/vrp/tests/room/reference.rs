//! The reference in the tree is that of the declarations. `TOLLGATE_WRITE_REFERENCE=1` writes it again.

use std::path::Path;

fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("doc").join(name);
    if std::env::var_os("TOLLGATE_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, text).expect("the tree can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "{} is not that of the declarations: TOLLGATE_WRITE_REFERENCE=1 writes it",
        path.display()
    );
}

#[test]
fn the_reference_is_that_of_the_declarations() {
    check("commands.md", &vrp::reference::markdown());
    check("tollgate-commands.7", &vrp::reference::manual_page());
}
