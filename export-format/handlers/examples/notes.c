/* A handler in C: keeps notes. It is built with clang and wasi-libc, of which it takes what needs no system: memory and
   strings. It speaks the canonical ABI by hand; `wit-bindgen c` would write the declarations below from handler.wit. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { char *at; size_t length; } text;
typedef struct { uint16_t status; text code; text message; } failure;
typedef struct { uint8_t failed; union { text text; failure failure; } is; } answer;
typedef struct { uint16_t status; text headers; text body; } response;

#define OF(interface, name) __attribute__((import_module("freehold:handler/" interface "@1.0.0"), import_name(name)))
OF("server", "log") void server_log(uint32_t level, const char *at, size_t length);
OF("records", "read") void records_read(const char *table, size_t, const char *id, size_t, answer *);
OF("records", "query") void records_query(const char *table, size_t, const char *query, size_t, answer *);
OF("records", "create") void records_create(const char *table, size_t, uint32_t has_id, const char *id, size_t, const char *fields, size_t, answer *);

static const char TABLE[] = "com.example.coded.notes";
static const char NOTES[] = "/api/notes";

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    (void)old_size, (void)align;
    void *at = realloc(old, size);
    if (!at) abort();
    return at;
}

static response *respond(uint16_t status, text body) {
    static response said;
    said = (response){.status = status, .body = body};
    return &said;
}

static response *passed_on(uint16_t status, const answer *got) {
    if (!got->failed) return respond(status, got->is.text);
    return respond(got->is.failure.status, got->is.failure.message);
}

static bool is(const char *word, const char *at, size_t length) {
    return strlen(word) == length && memcmp(word, at, length) == 0;
}

__attribute__((export_name("freehold:handler/http@1.0.0#handle"))) response *handle(
    char *method, size_t method_length, char *url, size_t url_length, void *headers, size_t headers_count, char *body, size_t body_length) {
    (void)headers, (void)headers_count;
    char *line = malloc(method_length + 1 + url_length);
    if (!line) abort();
    memcpy(line, method, method_length);
    line[method_length] = ' ';
    memcpy(line + method_length + 1, url, url_length);
    server_log(1, line, method_length + 1 + url_length);
    answer got = {0};
    size_t table = sizeof TABLE - 1, notes = sizeof NOTES - 1;
    if (is(NOTES, url, url_length) && is("POST", method, method_length)) {
        records_create(TABLE, table, 0, NULL, 0, body, body_length, &got);
        return passed_on(201, &got);
    }
    if (is(NOTES, url, url_length) && is("GET", method, method_length)) {
        records_query(TABLE, table, "{\"q\":{}}", 8, &got);
        return passed_on(200, &got);
    }
    if (url_length > notes + 1 && memcmp(url, NOTES, notes) == 0 && url[notes] == '/') {
        records_read(TABLE, table, url + notes + 1, url_length - notes - 1, &got);
        return passed_on(200, &got);
    }
    return respond(404, (text){strdup("no such thing"), 13});
}
