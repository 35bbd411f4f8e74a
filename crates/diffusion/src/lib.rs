//! Stable Diffusion: tokenizer, text encoder, U-Net, VAE, schedulers, samplers.
