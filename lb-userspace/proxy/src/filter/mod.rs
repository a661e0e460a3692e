//! What is done with requests and responses, one file a filter.
