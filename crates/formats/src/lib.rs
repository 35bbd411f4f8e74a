//! Weight files of the Stable Diffusion world, read safely into named arrays.
