"""What each area of the reconciliation counts: items of both sides, from common-model frames of what was staged."""
