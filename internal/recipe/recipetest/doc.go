// Package recipetest runs the recipes for real: its tests start each system as a user would,
// prove who can talk to it, kill a member, and look at what is left when it has been stopped.
package recipetest
