##@ Documents

DOCS := build/docs

.PHONY: docs

docs: $(DOCS)/.complete ## build the site of docs/ and the reference in build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --config-file docs/site/mkdocs.yml

$(DOCS)/.complete: docs/site/requirements.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
