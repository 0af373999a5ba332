package actors

// Kids is how much work that t has created is still in the tree.
func Kids(t *Task) int { return len(t.listKids()) }
