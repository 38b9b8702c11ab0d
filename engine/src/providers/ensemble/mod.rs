//! Ensemble
