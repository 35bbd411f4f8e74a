//! CPU kernels over plain slices: what a frozen diffusion U-Net spends its time in.
