-- A layer's versions are listed by id: without this, the whole table is read for each layer.
CREATE INDEX versions_of_layer ON versions (layer_id, id);
