//! Whatever goes in comes out.

use std::collections::BTreeMap;
use std::io::Read as _;

use export_format::path::Namer;
use export_format::reader::{Limits, Reader};
use export_format::row::{MAX_PLAIN, Value};
use export_format::signature::Trust;
use proptest::prelude::*;

use crate::made;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_files_come_back_under_their_names(files in prop::collection::vec((".{0,40}", prop::collection::vec(any::<u8>(), 0..2000)), 0..12)) {
        let mut namer = Namer::new("data/extra").unwrap();
        let files: BTreeMap<_, _> = files.into_iter().map(|(name, content)| (namer.place(&name), content)).collect();
        let payload = files.iter().enumerate().map(|(index, (path, content))| match index % 2 {
            0 => made::blob(path.as_str(), content),
            _ => made::document(path.as_str(), content),
        });
        let archive = made::archive(payload.collect());
        let verified = Reader::open(archive, &Limits::default()).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
        let mut found = BTreeMap::new();
        for entry in verified.entries().iter().filter(|entry| entry.path().is_payload()) {
            let mut content = Vec::new();
            verified.content(entry).unwrap().read_to_end(&mut content).unwrap();
            found.insert(entry.path().clone(), content);
        }
        prop_assert_eq!(found, files);
    }

    #[test]
    fn any_json_survives_the_archive(value in json()) {
        let stored = value.to_string();
        let taken = Value::from_stored(&stored).unwrap();
        let document = Value::Object([("_id".into(), Value::Text("x".into())), ("v".into(), taken.clone())].into());
        let row = document.to_row();
        let back = Value::from_row(&row).unwrap();
        prop_assert_eq!(&back, &document);
        prop_assert_eq!(Value::from_stored(&back.to_stored()).unwrap(), document);
        // Another reader of JSON understands the row too.
        prop_assert!(serde_json::from_str::<serde_json::Value>(&row).is_ok());
    }

    #[test]
    fn no_text_makes_the_row_parser_panic(text in "[\\[\\]{}\":,$a-f0-9eE+.\\\\u -]{0,60}") {
        let _ = Value::from_row(&text);
        if let Ok(value) = Value::from_stored(&text) {
            prop_assert_eq!(Value::from_stored(&value.to_stored()).unwrap(), value);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(junk in prop::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>(), cut in any::<bool>()) {
        let mut archive = made::archive(made::small());
        let at = at.index(archive.len());
        let end = (at + junk.len()).min(archive.len());
        archive[at..end].copy_from_slice(&junk[..end - at]);
        if cut {
            archive.truncate(end);
        }
        let _ = export_format::check::check(&archive, &Limits::default(), &Trust::Anyone, &mut |_| {});
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-(MAX_PLAIN as i64) - 2..MAX_PLAIN as i64 + 2).prop_map(Into::into),
        any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()).prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("(\\$|\\$int|\\$bytes|\\$blob|\\$\\$x|.{0,5})", inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}
