//! Writes the vectors of SPEC.md 15 down: `cargo run -p export-format --example vectors -- FOLDER`.
//!
//! With `--large` also those that are too large to be kept. What is there already under another content is replaced.

use std::path::Path;

mod catalogue;
mod index;

fn main() -> std::io::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let large = arguments.iter().position(|argument| argument == "--large").map(|at| arguments.remove(at)).is_some();
    let [folder] = arguments.as_slice() else {
        eprintln!("usage: vectors FOLDER [--large]");
        std::process::exit(2);
    };
    let folder = Path::new(folder);
    let mut vectors: Vec<_> = catalogue::all().into_iter().filter(|vector| large || !vector.is_large).collect();
    if large {
        vectors.extend(catalogue::good::huge());
    }
    for vector in &vectors {
        let path = folder.join(index::file_of(&vector.name));
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, &vector.bytes)?;
    }
    std::fs::write(folder.join("index.json"), index::of(&vectors))?;
    let bytes: usize = vectors.iter().map(|vector| vector.bytes.len()).sum();
    println!("{} vectors, {bytes} bytes", vectors.len());
    Ok(())
}
