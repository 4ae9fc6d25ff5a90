"""What intake does: accept a request, judge its entries, learn what releases and decisions say."""
