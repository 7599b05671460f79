package recipetest

func mpi() system {
	return system{
		name:   "mpi",
		what:   []string{`mpirun --version | sed -n 's/mpirun (Open MPI) /openmpi /p'`},
		tls:    []port{{name: "launch"}},
		client: `mpirun hostname`,
		// Those that are left compute on.
		goesOn: `mpirun --host "$(head -n 2 "$MPI_DIR/hosts" | sed 's/ .*//' | paste -sd , -)" sh -c 'echo $OMPI_COMM_WORLD_SIZE' |
			grep -cx 2 | grep -x 2`,
	}
}
