package recipetest

// torchrun starts what follows --, which here needs no PyTorch to see that it is told all.
func torchrun() system {
	return system{
		name:    "torchrun",
		what:    []string{`python3 -c 'import torch; print("torch", torch.__version__)'`},
		args:    []string{"--", "sh", "-c", `test -n "$MASTER_ADDR$MASTER_PORT$RANK" && test "$WORLD_SIZE" = 3 && exec sleep 1000`},
		noDeath: "ends all, as PyTorch wants it",
	}
}
