//! Learning one thing from a few photos: datasets, methods, trainer, adapter file.
