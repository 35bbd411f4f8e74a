//! The program as its users run it, on the small golden model.

mod ablations;
mod architecture;
mod benchmarking;
mod demo;
mod devices;
mod documents;
mod drawing;
mod evaluating;
mod exchange;
mod full_size;
mod hub;
mod hub_server;
mod loras;
mod methods;
mod mistakes;
mod prompts;
mod recipes;
mod scoring;
mod sd2;
mod subjects;
mod training;
mod vico;
mod weights;
