package admincmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/view"
)

// completer offers words that begin as what has been typed; args are those before it.
type completer func(ctx context.Context, c *adminclient.Client, args []string, typed string) ([]cobra.Completion, error)

// completionTime is how long somebody who has pressed Tab waits.
const completionTime = time.Second

// complete returns how the shell completes arguments, the first by the first completer.
// If the registry cannot be asked, nothing is offered, and nothing said.
func (a *admin) complete(each ...completer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		const nothingElse = cobra.ShellCompDirectiveNoFileComp
		if len(args) >= len(each) || a.Prepare(cmd) != nil {
			return nil, nothingElse
		}
		c, err := a.place.open(a.Globals, 0)
		if err != nil {
			return nil, nothingElse
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), completionTime)
		defer cancel()
		words, err := each[len(args)](ctx, c, args, typed)
		if err != nil {
			return nil, nothingElse
		}
		return words, nothingElse
	}
}

func completeClusters(ctx context.Context, c *adminclient.Client, _ []string, typed string) ([]cobra.Completion, error) {
	page, err := c.Clusters(ctx, api.ClusterQuery{Match: typed, Order: api.OrderName})
	if err != nil {
		return nil, err
	}
	shared := make(map[string]int)
	for i := range page.Items {
		shared[page.Items[i].Name]++
	}
	var words []cobra.Completion
	for i := range page.Items {
		found := &page.Items[i]
		about := cli.Printable(string(found.State) + ", " + view.CountMembers(found.Members, found.Size))
		switch n := shared[found.Name]; {
		case strings.HasPrefix(found.Name, typed) && n > 1: // the command says which there are
			words = append(words, cobra.CompletionWithDesc(found.Name, Count(n, "cluster")))
			shared[found.Name] = 0
		case strings.HasPrefix(found.Name, typed) && n == 1:
			words = append(words, cobra.CompletionWithDesc(found.Name, about))
		case n > 0 && looksLikeID(typed):
			words = append(words, cobra.CompletionWithDesc(found.ID, found.Name+", "+about))
		}
	}
	return words, nil
}

func completeMembers(ctx context.Context, c *adminclient.Client, args []string, typed string) ([]cobra.Completion, error) {
	found, err := find(ctx, c, args[0])
	if err != nil {
		return nil, err
	}
	detail, err := c.Cluster(ctx, found.ID)
	if err != nil {
		return nil, err
	}
	var words []cobra.Completion
	for i := range detail.Seats {
		m := &detail.Seats[i]
		if strings.HasPrefix(m.Name, typed) {
			words = append(words, cobra.CompletionWithDesc(m.Name, cli.Printable(fmt.Sprintf("index %d, %s", m.Index, list(m.Endpoints)))))
		}
	}
	return words, nil
}

func completeNodes(ctx context.Context, c *adminclient.Client, _ []string, typed string) ([]cobra.Completion, error) {
	page, err := c.Nodes(ctx, "", api.MaxPage)
	if err != nil {
		return nil, err
	}
	var words []cobra.Completion
	for i := range page.Items {
		if n := &page.Items[i]; strings.HasPrefix(n.ID, typed) {
			words = append(words, cobra.CompletionWithDesc(n.ID, cli.Printable(n.Name)))
		}
	}
	return words, nil
}

func completeTokens(ctx context.Context, c *adminclient.Client, _ []string, typed string) ([]cobra.Completion, error) {
	tokens, err := c.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	var words []cobra.Completion
	for i := range tokens {
		if strings.HasPrefix(tokens[i].Name, typed) {
			words = append(words, tokens[i].Name)
		}
	}
	return words, nil
}
