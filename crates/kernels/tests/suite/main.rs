//! Every operation against a plain f64 twin, at every vector level that the
//! machine has.

mod activation;
mod attention;
mod conv;
mod linear;
mod norm;
mod support;
