module github.com/xlattice/xlreg

go 1.26
