// Package view has the shapes in which nouns are shown: JSON for scripts, tables and
// lists of fields for people. They are plain values, so that whoever shows something
// needs no client and no registry for it.
package view
