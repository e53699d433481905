//! Tests of the whole product: `tidy.rs`, what the source keeps to; `transcript.rs`, both programs together.
