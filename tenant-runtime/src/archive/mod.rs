//! Between the store and the open archive format: export reads one snapshot, import writes one staged home.
