//! The index of the vectors: the verdict on each, for whoever runs them.

use serde_json::{Value, json};

use crate::catalogue::bagit::{RULES, Rfc8493};
use crate::catalogue::deltas::DeltaVector;
use crate::catalogue::sealed::SealedVector;
use crate::catalogue::{Trusted, Vector, made};
use export_format::Digest;
use export_format::finding::{Code, Severity};

/// Where the archive of this name is written.
pub(crate) fn file_of(name: &str) -> String {
    format!("{name}.pcc.zip")
}

/// Where the sealed archive of this name is written.
pub(crate) fn sealed_file_of(name: &str) -> String {
    format!("{name}.pcc.zip.age")
}

/// `index.json` for these vectors.
pub(crate) fn of<V: std::borrow::Borrow<Vector>>(
    vectors: &[V],
    deltas: &[DeltaVector],
    sealed: &[SealedVector],
) -> String {
    let list: Vec<Value> = vectors.iter().map(|vector| entry(vector.borrow())).collect();
    let rules: Vec<Value> = RULES
        .iter()
        .map(|(rule, verdict, vector)| {
            json!({"rule": rule, "rfc8493": if *verdict == Rfc8493::Valid { "valid" } else { "invalid" }, "vector": vector})
        })
        .collect();
    let index = json!({
        "format": "pcc-archive",
        "version": "1.0",
        "trust": made::signer().public().to_string(),
        "identity": made::SEALED_FOR,
        "vectors": list,
        "deltas": deltas.iter().map(delta).collect::<Vec<_>>(),
        "sealed": sealed.iter().map(sealed_entry).collect::<Vec<_>>(),
        "bagit": rules,
    });
    format!("{index:#}\n")
}

fn sealed_entry(vector: &SealedVector) -> Value {
    let codes: Vec<&str> = vector.codes.iter().map(|code| code.as_str()).collect();
    json!({
        "name": vector.name,
        "file": sealed_file_of(&vector.name),
        "clause": vector.clause,
        "says": vector.says,
        "valid": vector.gives.is_some(),
        "codes": codes,
        "gives": vector.gives.as_ref().map(|archive| Digest::of(archive).to_string()),
    })
}

fn delta(vector: &DeltaVector) -> Value {
    let codes: Vec<&str> = vector.codes.iter().map(|code| code.as_str()).collect();
    json!({
        "name": vector.name,
        "file": file_of(&vector.name),
        "base": file_of(vector.base),
        "clause": vector.clause,
        "says": vector.says,
        "valid": vector.gives.is_some(),
        "codes": codes,
        "gives": vector.gives.as_ref().map(|archive| Digest::of(archive).to_string()),
    })
}

fn entry(vector: &Vector) -> Value {
    let of = |is: fn(Severity) -> bool| -> Vec<&str> {
        vector.codes.iter().filter(|code| is(code.severity())).map(|code: &Code| code.as_str()).collect()
    };
    let mut entry = json!({
        "name": vector.name,
        "file": file_of(&vector.name),
        "clause": vector.clause,
        "says": vector.says,
        "valid": vector.is_valid(),
        "codes": of(|severity| severity == Severity::Refusal),
        "warnings": of(|severity| severity != Severity::Refusal),
    });
    match vector.trust {
        Trusted::Ours => {}
        Trusted::Other(key) => entry["trust"] = key.into(),
        Trusted::Nobody => entry["trust"] = Value::Null,
    }
    if let Some((bytes, entries)) = vector.limits {
        entry["limits"] = json!({"bytes": bytes, "entries": entries});
    }
    if vector.only_folder {
        entry["form"] = "folder".into();
    }
    entry
}
