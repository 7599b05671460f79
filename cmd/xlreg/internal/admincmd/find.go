package admincmd

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// ErrAmbiguous says that a name or the beginning of an ID means several clusters.
var ErrAmbiguous = errors.New("say which by its ID")

// maxSearched is how many pages of clusters are looked through for a name.
const maxSearched = 20

// find returns the cluster that somebody names: by name, by ID, or by how its ID begins.
func find(ctx context.Context, c *adminclient.Client, what string) (*api.Cluster, error) {
	if isID(what) {
		detail, err := c.Cluster(ctx, what)
		if err != nil {
			return nil, fmt.Errorf("cluster %.12s: %w", what, err)
		}
		return &detail.Cluster, nil
	}
	named, begins, err := search(ctx, c, what)
	if err != nil {
		return nil, err
	}
	if len(named) == 0 {
		named = begins
	}
	switch len(named) {
	case 0:
		return nil, fmt.Errorf("cluster %q: %w", what, api.ErrNotFound)
	case 1:
		return &named[0], nil
	}
	return nil, fmt.Errorf("%q means %s: %w", what, describeAll(named), ErrAmbiguous)
}

// search looks through the clusters that match, which are in the order of their names.
func search(ctx context.Context, c *adminclient.Client, what string) (named, begins []api.Cluster, err error) {
	q := api.ClusterQuery{Match: what, Order: api.OrderName, Limit: api.MaxPage}
	for range maxSearched {
		page, err := c.Clusters(ctx, q)
		if err != nil {
			return nil, nil, err
		}
		for _, found := range page.Items {
			switch {
			case found.Name == what:
				named = append(named, found)
			case strings.HasPrefix(found.ID, strings.ToLower(what)) && looksLikeID(what):
				begins = append(begins, found)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return named, begins, nil
		}
	}
	if len(named) > 0 {
		return named, nil, nil // names come in order, so all of them have been seen, or more than can be told
	}
	return nil, nil, fmt.Errorf("too many clusters match %q: %w", what, ErrAmbiguous)
}

// isID reports whether a word is a whole ID.
func isID(word string) bool {
	return regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`).MatchString(word)
}

// looksLikeID reports whether a word may be the beginning of an ID, and is not too short
// to mean one cluster.
func looksLikeID(word string) bool {
	return regexp.MustCompile(`^[0-9a-fA-F]{4,64}$`).MatchString(word)
}

// describeAll tells clusters from each other.
func describeAll(all []api.Cluster) string {
	const most = 4
	var b strings.Builder
	for i := range all[:min(most, len(all))] {
		if i > 0 {
			b.WriteString(" and ")
		}
		fmt.Fprintf(&b, "%s, %s, %s", all[i].ID, all[i].Name, ownerText(&all[i]))
	}
	if len(all) > most {
		fmt.Fprintf(&b, " and %d others", len(all)-most)
	}
	return b.String()
}

func ownerText(c *api.Cluster) string {
	if c.Owner == "" {
		return "open"
	}
	return "with the owner " + c.Owner
}

// findNode returns the node that somebody names: by ID, by how its ID begins, or by name.
func findNode(ctx context.Context, c *adminclient.Client, what string) (*api.Node, error) {
	if isID(what) {
		n, err := c.Node(ctx, what)
		if err != nil {
			return nil, fmt.Errorf("node %.12s: %w", what, err)
		}
		return &n, nil
	}
	var found []api.Node
	cursor := ""
	for range maxSearched {
		page, err := c.Nodes(ctx, cursor, api.MaxPage)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			n := &page.Items[i]
			if n.Name == what || looksLikeID(what) && strings.HasPrefix(n.ID, strings.ToLower(what)) {
				found = append(found, *n)
			}
		}
		if cursor = page.Next; cursor == "" {
			return onlyNode(found, what)
		}
	}
	return nil, fmt.Errorf("node %q: there are too many nodes to look through: %w", what, ErrAmbiguous)
}

func onlyNode(found []api.Node, what string) (*api.Node, error) {
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("node %q: %w", what, api.ErrNotFound)
	case 1:
		return &found[0], nil
	}
	return nil, fmt.Errorf("%q means %s and %s: %w", what, found[0].ID, found[1].ID, ErrAmbiguous)
}
