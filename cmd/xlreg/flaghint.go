package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Where the flags of run and join differ for the same thing.
const (
	whereOfRun  = "the members of a run are where --address and --ports say"
	whereOfJoin = "--endpoint says where this member is, such as --endpoint eth0:7001"
)

// flagInstead says what to give to a command in the place of a flag that it does not have.
var flagInstead = map[string]map[string]string{
	"run":  {"endpoint": whereOfRun, "listen": whereOfRun, "advertise": whereOfRun, "name": "--prefix says what its members are called"},
	"join": {"address": whereOfJoin, "advertise": whereOfJoin, "members": "--size says how many members a cluster has that --create makes"},
}

// flagHint returns what to say of a flag that cmd does not have, after the error. Run and join
// have much in common, so one is easily taken for the other.
func flagHint(cmd *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || flagInstead[cmd.Name()] == nil {
		return ""
	}
	var hints []string
	if hint := flagInstead[cmd.Name()][longName(cmd, unknown.GetSpecifiedName())]; hint != "" {
		hints = append(hints, hint)
	} else if other := siblingWith(cmd, unknown.GetSpecifiedName()); other != "" {
		hints = append(hints, fmt.Sprintf("'%s' has that flag", other))
	}
	if cmd.Name() == "run" {
		hints = append(hints, "flags of COMMAND stand after --")
	}
	return strings.Join(append([]string{""}, hints...), "; ")
}

// longName returns the name of a flag of run or join for which one letter stands.
func longName(cmd *cobra.Command, name string) string {
	if len(name) != 1 {
		return name
	}
	for _, other := range cmd.Parent().Commands() {
		if f := other.Flags().ShorthandLookup(name); f != nil && flagInstead[other.Name()] != nil {
			return f.Name
		}
	}
	return name
}

// siblingWith returns which of run and join has a flag that cmd does not have.
func siblingWith(cmd *cobra.Command, name string) string {
	for _, other := range cmd.Parent().Commands() {
		if other != cmd && flagInstead[other.Name()] != nil && other.Flags().Lookup(name) != nil {
			return other.CommandPath()
		}
	}
	return ""
}
