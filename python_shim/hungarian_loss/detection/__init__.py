"""Detection as set prediction: the loss of the DETR family, a model class for it, and the costs that it is made of."""
