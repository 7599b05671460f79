package run

// unknownHolder is whoever cannot be found out.
const unknownHolder = "another program"
