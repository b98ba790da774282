-- For lists of a hundred thousand, a page at a time, and for the sums above them. Nothing here changes a row.

create index server_alive on server (desired, erased_ms);
create index invoice_by_state_and_age on invoice (state, id);
create index invoice_open on invoice (due_ms, amount_cents, subscription_id) where state = 'open';
create index operation_by_state_and_age on operation (state, id);
-- Letters are long; who they went to and what about is looked up here without reading them.
create index letter_found on letter (id, recipient, subject);
create index letter_in_trouble on letter (id) where last_error is not null;
