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
    let deltas = catalogue::deltas::all();
    for vector in &deltas {
        std::fs::write(folder.join(index::file_of(&vector.name)), &vector.bytes)?;
    }
    let sealed = catalogue::sealed::all();
    std::fs::create_dir_all(folder.join("sealed"))?;
    for vector in &sealed {
        std::fs::write(folder.join(index::sealed_file_of(&vector.name)), &vector.bytes)?;
    }
    std::fs::write(folder.join("index.json"), index::of(&vectors, &deltas, &sealed))?;
    let all = vectors.iter().map(|vector| &vector.bytes).chain(deltas.iter().map(|vector| &vector.bytes));
    let bytes: usize = all.chain(sealed.iter().map(|vector| &vector.bytes)).map(Vec::len).sum();
    println!("{} vectors, {} deltas, {} sealed, {bytes} bytes", vectors.len(), deltas.len(), sealed.len());
    Ok(())
}
