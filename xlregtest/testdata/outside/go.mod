module example.org/outside

go 1.26.0

require github.com/xlattice/xlreg v0.0.0
