"""What CMA-CLIP is held against: hand-made features with logistic regression, and CLIP's towers asked with prompts."""
