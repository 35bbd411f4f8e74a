//! The world through its public interface.
