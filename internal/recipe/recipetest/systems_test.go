package recipetest

import "slices"

// systems are all that are tested, each in a file of its own. A test holds that none of the
// recipes is missing.
func systems() []system {
	return slices.Concat(
		[]system{etcd(), nats(), redis(), rabbitmq(), zookeeper(), galera(), patroni(), erlang(), mpi()},
		[]system{consul(), serf(), dask(), alertmanager(), jax(), torchrun(), raftkv()},
	)
}
