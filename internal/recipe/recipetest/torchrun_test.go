package recipetest

// torchSum is a program whose processes add up one from each of them, and keep the sum.
const torchSum = `
import os, time, torch, torch.distributed
torch.distributed.init_process_group("gloo")
sum = torch.ones(1)
torch.distributed.all_reduce(sum)
with open(os.path.dirname(os.environ["XLREG_ROSTER"]) + "/sum", "w") as f:
    print(int(sum.item()), file=f)
time.sleep(1000)
`

// torchrun starts what follows --. PyTorch takes gigabytes, so that it is not among what is
// installed for these tests: they use it where there is one.
func torchrun() system {
	return system{
		name:    "torchrun",
		what:    []string{`python3 -c 'import torch; print("torch", torch.__version__)'`},
		args:    []string{"--", "python3", "-c", torchSum},
		client:  `test "$(cat "${XLREG_ROSTER%/*}/sum")" = 3`,
		noDeath: "ends all, as PyTorch wants it",
	}
}
