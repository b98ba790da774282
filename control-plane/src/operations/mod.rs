//! Work with an end, such as exports and imports: a row, closed steps, progress.
