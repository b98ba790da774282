//! Guests of the app host: components made from their text, as an app's maker would make them.

use std::path::Path;
use std::process::Command;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A component from a core module in the text format.
pub(crate) fn from_text(world: &str, text: &str) -> Vec<u8> {
    component(world, wat::parse_str(text).unwrap())
}

/// A component from C, by clang and wasi-libc.
pub(crate) fn from_c(world: &str, source: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("module.wasm");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../export-format/handlers/examples").join(source);
    let made = Command::new("clang")
        .args(["--target=wasm32-wasi", "-O2", "-mexec-model=reactor", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&module, &source])
        .output()
        .expect("clang with wasi-libc and lld: apt install clang lld wasi-libc libclang-rt-dev-wasm32");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    component(world, std::fs::read(module).unwrap())
}

fn component(world: &str, mut module: Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../export-format/handlers");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// A handler of pages that does `body` with what it is asked, in the text format.
///
/// It has the request in its parameters (0 and 1 the method, 2 and 3 the address, 4 and 5 headers, 6 and 7 the body), memory
/// from 4096 on, and the imports below; it must leave the place of a response on the stack. `$said` makes one of a status
/// and a text.
pub(crate) fn page(body: &str) -> Vec<u8> {
    page_with("", body)
}

/// The same with functions of its own.
pub(crate) fn page_with(more: &str, body: &str) -> Vec<u8> {
    from_text(
        "http-handler",
        &format!(
            r#"(module {PRELUDE} {more}
        (func (export "freehold:handler/http@1.0.0#handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
            (local $n i32)
            {body}))"#
        ),
    )
}

const PRELUDE: &str = r#"
    (import "freehold:handler/server@1.0.0" "log" (func $log (param i32 i32 i32)))
    (import "freehold:handler/server@1.0.0" "notify" (func $notify (param i32 i32 i32)))
    (import "freehold:handler/records@1.0.0" "read" (func $read (param i32 i32 i32 i32 i32)))
    (import "freehold:handler/records@1.0.0" "query" (func $query (param i32 i32 i32 i32 i32)))
    (import "freehold:handler/records@1.0.0" "create" (func $create (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "freehold:handler/web@1.0.0" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 4096))
    (func $take (param $bytes i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $at) (local.get $bytes)))
        (block $enough (loop $more
            (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
            (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
            (br $more)))
        (local.get $at))
    (func (export "cabi_realloc") (param $old i32) (param $length i32) (param i32) (param $bytes i32) (result i32)
        (local $at i32)
        (local.set $at (call $take (local.get $bytes)))
        (memory.copy (local.get $at) (local.get $old) (local.get $length))
        (local.get $at))
    (func $said (param $status i32) (param $text i32) (param $length i32) (result i32) (local $at i32)
        (local.set $at (call $take (i32.const 20)))
        (i32.store16 (local.get $at) (local.get $status))
        (i32.store offset=4 (local.get $at) (i32.const 0))
        (i32.store offset=8 (local.get $at) (i32.const 0))
        (i32.store offset=12 (local.get $at) (local.get $text))
        (i32.store offset=16 (local.get $at) (local.get $length))
        (local.get $at))
    ;; A text or a failure, as a response: 200, or the failure's status and message.
    (func $passed (param $got i32) (result i32)
        (if (result i32) (i32.load8_u (local.get $got))
            (then (call $said (i32.load16_u offset=4 (local.get $got))
                (i32.load offset=16 (local.get $got)) (i32.load offset=20 (local.get $got))))
            (else (call $said (i32.const 200)
                (i32.load offset=4 (local.get $got)) (i32.load offset=8 (local.get $got))))))
    ;; A response of another computer or a failure, as a response.
    (func $fetched (param $got i32) (result i32)
        (if (result i32) (i32.load8_u (local.get $got))
            (then (call $passed (local.get $got)))
            (else (call $said (i32.load16_u offset=4 (local.get $got))
                (i32.load offset=16 (local.get $got)) (i32.load offset=20 (local.get $got))))))
"#;
