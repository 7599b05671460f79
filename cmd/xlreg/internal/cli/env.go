package cli

// EnvName returns the environment variable that sets a flag.
func EnvName(flag string) string { return envName(flag) }
