package recipetest

// jax has nothing that would refuse anybody. A process that has died is missed after
// a minute or two, and then all end: so its death is told by xlreg, which ends them at once.
func jax() system {
	return system{
		name:    "jax",
		needs:   []string{"curl"},
		what:    []string{`python3 -c 'import jax; print("jax", jax.__version__)'`},
		client:  `curl -fsS "http://${XLREG_ENDPOINTS_STATUS%%,*}/status"`,
		noDeath: "ends all, as JAX wants it",
	}
}
