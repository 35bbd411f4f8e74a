//! Burn behind one door: devices, layers over frozen or trained weights, block replay.
