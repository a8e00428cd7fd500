"""How the shipped `inkling-small` is made; other models are trained by `fit`.

features     what the frozen part of the picture tower sees, cached
phrases      pooled texts of every interest, in several wordings
model        the parts that learn, and the pairwise model that they make
teacher      what the classifier said before training
losses       what one step asks for
train        the run
average      the mean of several runs, which share their first weights
clusters     visual clusters of the training photos, beside the model
__main__     all steps, with the settings behind the committed model
"""
