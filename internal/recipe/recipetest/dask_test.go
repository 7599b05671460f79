package recipetest

func dask() system {
	return system{
		name:   "dask",
		what:   []string{`dask --version | sed 's/dask, version /dask /'`},
		tls:    []port{{name: "comm"}},
		client: `"$(dirname "$(command -v dask)")/python3" -c 'from distributed import Client; Client().close()'`,
		// The other worker computes what there is to compute. The variables say all to a client.
		goesOn: `"$(dirname "$(command -v dask)")/python3" -c '
from distributed import Client
with Client() as client:
    assert client.submit(sum, [40, 2]).result(timeout=60) == 42
'`,
	}
}
