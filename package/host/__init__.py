"""What stands between an app's words and a model's tensors: the reference that generated packages follow.

    roles      what a function is called for, and what its arguments are called
    items      a word to an id and back: tokens, titles, near misses
    features   an app's arguments as arrays: looked up, cut, padded, stacked
    wordpiece  text as tokens, by the tables of unicode
    beam       items that are spelled, found by what their ids may begin with
    best       scores as the k best, and as probabilities
    calls      one function called in an app's words
    together   many such calls, in batches of the model
    generating items spelled id by id, by the search in beam
    answers    what comes back

Every rule is a sentence here and a vector in a bundle's `golden/api.json`.
"""
