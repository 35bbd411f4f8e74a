//! Integration tests of learning and drawing.

mod ablations;
mod golden_forward;
mod golden_gradients;
mod golden_methods;
mod golden_otsu;
mod golden_sampling;
mod golden_training;
mod not_finite;
mod own_weights;
mod precision;
mod references;
mod samplers;
mod sd2;
mod tapes;
mod textual_inversion;
mod tiny;
