package recipetest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func serf() system {
	return system{
		name:        "serf",
		what:        []string{`dpkg-query -W -f 'serf ${Version}\n' serf | sed 's/~.*//'`},
		strangers:   serfStrangers,
		refusedWith: "gossip, by its key",
		client:      `serf members`,
		goesOn:      `test "$(serf members -status=alive | grep -c .)" -eq 2`,
	}
}

// serfStrangers lets agents join: one without a key, one with another key, and one that has the
// cluster's, and is taken.
func serfStrangers(c *cluster) error {
	key, err := serfKey(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	const another = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	for _, args := range [][]string{nil, {"-encrypt=" + another}} {
		out, err := serfAgent(ctx, c, args...).CombinedOutput()
		if err == nil || ctx.Err() != nil || !strings.Contains(string(out), "Failed to join") {
			return fmt.Errorf("an agent with %d keys: %w\n%s", len(args), err, out)
		}
	}
	member := serfAgent(ctx, c, "-encrypt="+key)
	if err := member.Start(); err != nil {
		return err
	}
	c.eventually("an agent with the key", c.command(`serf members -status=alive -name=stranger | grep stranger`, nil))
	if err := member.Process.Signal(os.Interrupt); err != nil { // it leaves
		return err
	}
	err = member.Wait()
	c.eventually("an agent that has left", c.command(`serf members -status=left -name=stranger | grep stranger`, nil))
	return err
}

func serfAgent(ctx context.Context, c *cluster, args ...string) *exec.Cmd {
	all := []string{"agent", "-node=stranger", "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0", "-join=" + c.address(0, "gossip")}
	return exec.CommandContext(ctx, "serf", append(all, args...)...)
}

func serfKey(c *cluster) (string, error) {
	data, err := os.ReadFile(filepath.Join(c.dirOf(0), "serf.json"))
	if err != nil {
		return "", err
	}
	var config struct {
		Key string `json:"encrypt_key"`
	}
	return config.Key, json.Unmarshal(data, &config)
}
