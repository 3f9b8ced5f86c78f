"""What the bodies of the POST routes may say: types, ranges and names of fields, and nothing of any model."""
